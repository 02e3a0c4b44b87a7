"""What holds for all tests."""

from hypothesis import settings

# A busy machine is no fault: nothing here asserts how long anything takes.
settings.register_profile("queuectl", deadline=None)
settings.load_profile("queuectl")
