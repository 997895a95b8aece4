"""A marketplace that people use by talking to a Telegram bot."""
