"""The assistant: answers of a language model, piece by piece."""
