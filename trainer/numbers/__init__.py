"""The reader of numbers: strings made of training digits, and what is fitted to them."""
