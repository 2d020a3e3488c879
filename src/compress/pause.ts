/** Calls back when the event loop has made a whole turn without a write. */
export class PauseDetector {
  private isFresh = false;
  private isWaiting = false;
  private isOver = false;

  constructor(private readonly onPause: () => void) {}

  /** There was a write, or a write was encoded. */
  touch(): void {
    this.isFresh = true;
    if (this.isWaiting || this.isOver) return;
    this.isWaiting = true;
    setImmediate(look, this);
  }

  /** There will be no more writes. */
  end(): void {
    this.isOver = true;
  }

  look(): void {
    if (this.isOver) return;
    if (this.isFresh) {
      this.isFresh = false;
      setImmediate(look, this);
      return;
    }
    this.isWaiting = false;
    this.onPause();
  }
}

function look(pause: PauseDetector): void {
  pause.look();
}
