"""The gallery's page: a wall that a visitor rearranges by clicking, rendered here, without a build step."""
