"""What one file holds: RecordIO, .bin, lists, pairs, folders, MegaFace, IJB; nothing in a file is executed."""
