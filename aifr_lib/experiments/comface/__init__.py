"""ComFace."""
