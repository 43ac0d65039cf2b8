"""Figures, tables and texts for people."""
