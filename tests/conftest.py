"""Settings of all tests."""

from hypothesis import settings

# A busy machine is no defect: examples may take as long as they take.
settings.register_profile("vasari", deadline=None)
settings.load_profile("vasari")
