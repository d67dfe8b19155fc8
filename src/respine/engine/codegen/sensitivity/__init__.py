"""The sensitivities' share of a step."""
