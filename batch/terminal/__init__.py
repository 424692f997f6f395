"""What a person sees in the terminal: progress, summary, notices."""
