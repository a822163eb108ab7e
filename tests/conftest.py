"""Settings of all tests."""

import os

from hypothesis import settings

# Before torch is loaded: idle threads sleep. Where tests share the processors, threads that wait busily for
# one another make a fit on two threads a hundred times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# A busy machine is no defect: examples may take as long as they take.
settings.register_profile("vasari", deadline=None)
settings.load_profile("vasari")
