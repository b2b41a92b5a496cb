"""Integrations: the callbacks and estimators of other libraries. Each module has the name of its library."""
