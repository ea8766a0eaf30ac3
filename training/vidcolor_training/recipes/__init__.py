"""The recipes that come with vidcolor, and the code that reads a recipe."""
