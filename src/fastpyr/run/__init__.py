"""Builds as callers start them: inputs, threads, publication."""

from .build import build, plan

__all__ = ["build", "plan"]
