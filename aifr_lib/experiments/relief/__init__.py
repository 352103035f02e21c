"""The relief faces as a data set."""
