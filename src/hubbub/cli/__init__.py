"""The command line: one file for each group of commands. They work whether or not a server runs on the data folder."""
