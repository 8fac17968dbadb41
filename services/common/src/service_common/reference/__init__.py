"""What the reference services are made of: records on one of two backends, and the endpoints for them."""
