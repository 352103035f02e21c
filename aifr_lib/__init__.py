"""Face recognition across ages: the models, losses, data, training and evaluation of four papers."""

__version__ = "0.1.0"
