"""Losses, the loop, schedules and checkpoints; knows a trainable network by protocol, no model by name."""
