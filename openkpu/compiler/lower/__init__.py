"""From a program to the layers of one file format."""
