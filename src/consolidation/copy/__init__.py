"""Phase copy, by COPY under the fence."""
