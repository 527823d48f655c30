"""The `fixed` dialect: fixed-point formats, their arithmetic and scalar ops."""
