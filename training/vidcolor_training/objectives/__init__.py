"""What training minimizes: losses, and the discriminator with its losses."""
