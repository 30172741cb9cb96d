/** A card as the server would send it, for tests. */
import type { Card } from "../protocol.ts";

export function card(id: string, fields: Partial<Card> = {}): Card {
  return {
    id,
    name: "count-words",
    title: "Count words",
    state: "running",
    progress: 10,
    line: null,
    result: null,
    error: null,
    detail: null,
    outputs: [],
    output_count: 0,
    todos: [],
    todo_count: fields.todos?.length ?? 0,
    todo_done: fields.todos?.filter((todo) => todo.status === "completed").length ?? 0,
    created_at: "2026-01-01T00:00:00Z",
    ...fields,
  };
}
