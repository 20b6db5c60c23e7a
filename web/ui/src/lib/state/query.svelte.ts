// A load from the API as a reactive value: data, error, loading, reload.
import { untrack } from "svelte";
import { messageOf } from "../api/http";

export interface Query<T> {
  readonly data: T | undefined;
  readonly error: string | undefined;
  readonly loading: boolean;
  reload: () => void;
  /** Replaces the data without a request, after a change made here. */
  set: (data: T) => void;
}

/**
 * Runs load at once and whenever a reactive value that it reads synchronously
 * changes; a newer run aborts the older one. Call it while a component is
 * created. Old data stays visible while a reload runs.
 */
export function query<T>(load: (signal: AbortSignal) => Promise<T>): Query<T> {
  let data = $state.raw<T>();
  let error = $state<string>();
  let loading = $state(true);
  let run = $state(0);

  $effect(() => {
    void run;
    const abort = new AbortController();
    const answer = load(abort.signal);
    untrack(() => (loading = true));
    answer.then(
      (value) => {
        if (abort.signal.aborted) return;
        data = value;
        error = undefined;
        loading = false;
      },
      (err: unknown) => {
        if (abort.signal.aborted) return;
        error = messageOf(err);
        loading = false;
      },
    );
    return () => abort.abort();
  });

  return {
    get data() {
      return data;
    },
    get error() {
      return error;
    },
    get loading() {
      return loading;
    },
    reload: () => void run++,
    set: (value) => (data = value),
  };
}
