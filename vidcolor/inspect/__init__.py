"""What is in a film or picture, what will be kept of it, how long it takes, and where time goes."""
