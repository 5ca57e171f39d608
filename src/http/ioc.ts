import type { IocContainer, IocContainerFactory } from '@tsoa/runtime';
import type { Request } from 'express';

/** Name under which `app.locals` keeps the controllers: tsoa's generated routes look them up per request. */
export const CONTROLLERS = 'controllers';

/** Each application has controllers of its own, so that several can live in one process. */
export const iocContainer: IocContainerFactory<Request> = (request) =>
  request.app.locals[CONTROLLERS] as IocContainer;
