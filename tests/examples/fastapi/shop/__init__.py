"""A service of FastAPI with a sign-in: the code of the guide, adapters/oncegate_web/fastapi/README.md."""
