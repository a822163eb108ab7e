"""What every other package stands on: errors, atomic files, seeds, progress."""
