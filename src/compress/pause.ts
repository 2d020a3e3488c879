/** Tells when the event loop has made a whole turn in which nothing was written. */
export class Pause {
  private isFresh = false;
  private isWaiting = false;
  private isOver = false;

  constructor(private readonly onPause: () => void) {}

  /** Something was written, or has just been encoded. */
  touch(): void {
    this.isFresh = true;
    if (this.isWaiting || this.isOver) return;
    this.isWaiting = true;
    setImmediate(look, this);
  }

  /** Nothing more will be written. */
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

function look(pause: Pause): void {
  pause.look();
}
