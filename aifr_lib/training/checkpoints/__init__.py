"""What a training writes down on its way, whole or not at all."""
