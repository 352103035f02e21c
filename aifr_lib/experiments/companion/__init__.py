"""The book's own pages."""
