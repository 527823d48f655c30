"""Small quantized models, the scripts that train them, and their test data."""
