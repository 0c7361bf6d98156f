"""How good is a solution? A model as judge; a process reward model that scores every step."""
