export function createApp(database) {
  return database.app;
}
