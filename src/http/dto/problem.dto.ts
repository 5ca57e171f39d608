/** One field that is not valid. */
export interface InvalidField {
  /** Where it is, e.g. `body.k`. */
  field: string;
  /** What is wrong with it. */
  message: string;
}

/** What went wrong, as RFC 9457 has it. */
export interface Problem {
  /** Stable name of the kind of problem: `urn:dino:problem:<code>`. */
  type: string;
  /** The kind of problem in words. */
  title: string;
  /** HTTP status. */
  status: number;
  /** What is wrong here and what to do about it. */
  detail: string;
  /** The request's id, `urn:dino:request:<X-Request-Id>`; in a job `urn:dino:job:<id>`. */
  instance: string;
  /** The fields that are not valid, where the request's form is at fault. */
  errors?: InvalidField[];
}
