/** What a thread that does nothing costs: it gives back what it is given. */
export default (message) => message;
