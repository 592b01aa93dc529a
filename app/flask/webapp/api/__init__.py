"""The API: a blueprint a resource, the same five operations for each."""
