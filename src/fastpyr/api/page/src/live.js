// Looking again, while somebody looks.

/** Call `look` now and again; it returns the seconds until the next time. Returns what stops it. */
export function watch(look) {
  let stopped = false;
  let timer = 0;
  let busy = false;
  const turn = async () => {
    clearTimeout(timer);
    if (stopped || busy) return;
    let wait = 5;
    if (!document.hidden) {
      busy = true;
      try {
        wait = (await look()) ?? 5;
      } catch (error) {
        console.warn(error.message);
      }
      busy = false;
    }
    if (!stopped) timer = setTimeout(turn, wait * 1000);
  };
  const visible = () => document.hidden || turn();
  document.addEventListener("visibilitychange", visible);
  turn();
  return {
    again: turn,
    stop() {
      stopped = true;
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", visible);
    },
  };
}
