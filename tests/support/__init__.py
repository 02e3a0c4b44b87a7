"""What tests share: values to start from, a queue, the command, and waiting with a bound."""
