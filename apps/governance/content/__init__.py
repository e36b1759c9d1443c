"""What is kept of prompts and answers: encrypted with the tenant's own key, read by few, each reading on record."""
