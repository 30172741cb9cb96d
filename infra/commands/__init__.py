"""The commands of `sisyphus` that need no role: tasks, objects, the doctor and the embedded system."""
