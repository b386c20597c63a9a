"""Builds that many processes and machines share: a task graph, executors for it, and a simulator of its schedule."""
