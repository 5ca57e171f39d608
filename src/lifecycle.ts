/** Where the service is in its life; what `/readyz` tells. */
export class Lifecycle {
  #state: 'starting' | 'ready' | 'stopping' = 'starting';

  get state(): 'starting' | 'ready' | 'stopping' {
    return this.#state;
  }

  get isReady(): boolean {
    return this.#state === 'ready';
  }

  ready(): void {
    if (this.#state === 'starting') this.#state = 'ready';
  }

  stop(): void {
    this.#state = 'stopping';
  }
}
