"""What holds for all tests."""

import signal

from hypothesis import settings

# Under nohup, or in the background of a shell, these are ignored, and would be by every process that a test starts.
for _signal, _handler in ((signal.SIGHUP, signal.SIG_DFL), (signal.SIGINT, signal.default_int_handler)):
    if signal.getsignal(_signal) is signal.SIG_IGN:
        signal.signal(_signal, _handler)

# A busy machine is no fault: nothing here asserts how long anything takes.
settings.register_profile("queuectl", deadline=None)
settings.load_profile("queuectl")
