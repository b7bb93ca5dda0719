"""What is installed: plugins, the stages they provide, and where they come from."""

from vmforensics.plugins.api import API_VERSION, check_api
from vmforensics.plugins.provider import BrokenPlugin, Origin, Provider
from vmforensics.plugins.registry import RegisteredStage, Registry

__all__ = ["API_VERSION", "BrokenPlugin", "Origin", "Provider", "RegisteredStage", "Registry", "check_api"]
