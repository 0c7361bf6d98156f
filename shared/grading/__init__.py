"""From a model's text to its final answer; are two answers equal; which answer wins a vote."""
