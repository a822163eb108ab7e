"""The command line: one file a group of commands, none with logic of its own."""
