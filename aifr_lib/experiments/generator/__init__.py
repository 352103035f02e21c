"""The offline generator as a data set."""
