"""Text to token ids and back: the tokenizer, the folder's own chat template, the prompts."""
