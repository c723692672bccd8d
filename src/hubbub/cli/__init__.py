"""The command line: one file per group of commands, all of which work whether or not a server runs on the data folder."""
