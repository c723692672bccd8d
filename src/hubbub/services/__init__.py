"""Services: operations by subject, with typed answers. `Engine` (app.py) composes them."""
